"""Collection: sample, export, measure on a device, train, and store every step so that it can be resumed."""
