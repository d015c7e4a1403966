"""What people see: progress, tables, sizes and times in words."""
