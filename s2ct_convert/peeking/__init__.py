"""Look at archives of the record before they are downloaded, by HTTP ranges. Nothing is written, no md5 is checked."""
