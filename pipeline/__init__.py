"""The runtime: frames, caps, queues, threads; knows nothing of faces, files or cameras."""
