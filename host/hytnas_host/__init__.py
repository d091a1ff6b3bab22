"""The workstation: models, export, devices, collection, training, search, reports, command line."""
