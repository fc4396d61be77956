"""The sources of images, one module each. `diffrun_worker.data.load` chooses between them."""
