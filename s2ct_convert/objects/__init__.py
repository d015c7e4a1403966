"""Objects in buckets (S3, GCS, Azure) and at https addresses: addresses, credentials, requests, errors."""
