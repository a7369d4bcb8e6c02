"""The stages: one file each; the file name is the name in pipeline.yaml."""
