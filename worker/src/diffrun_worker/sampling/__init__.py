"""Denoising with a diffusers UNet and scheduler, step by step.

    loader    a checkpoint's folder -> Model              (weights: what the file holds, before it is loaded)
    schedules a scheduler's configuration -> Schedule     (timesteps, ᾱ of every UNet call, a fresh scheduler)
    loop      noise -> samples, a callback at every step
    batching  which samples are this shard's, in which batches, from which noise
    metrics   what the callback measures, published off the loop's thread
    images    samples -> PNG, off the loop's thread
    threads   how many cores a pod may use
    heap      freed memory that stays with the process

Nothing here knows of runs, blocks or Redis: `diffrun_worker.blocks.generate` ties it to a BlockContext.
"""
