"""What people see: progress, tables, results in words."""
