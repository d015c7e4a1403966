"""What ``s2ct doctor`` examines: the software, a folder, this machine and the connection to Zenodo."""
