"""Objects in buckets (S3, GCS) and at https addresses, through obstore: addresses, credentials, requests, errors."""
