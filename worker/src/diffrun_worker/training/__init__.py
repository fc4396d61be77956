"""Training a network to predict noise.

    config        parameters and presets -> one configuration in which nothing is unset
    schedules     learning rate and decay of the average, as functions of the step
    randomness    timesteps, noise and dropped classes, as functions of seed and step
    batches       images of a step, on the device
    network       the network, its average and its optimiser
    step          one step: loss, gradients, clipping, AdamW, average
    readback      losses on their way to the host
    report        losses become metrics, progress and log lines
    state         what a checkpoint holds, and how a training goes on from it
    checkpoints   such states as folders, whole or not at all
    saver         states are written beside the loop
    grids         samples during training
    distributed   pods that train one model together
    trainer       the loop over all of these
    session       a training from its configuration to its model

A run that resumes, and one that is shared out over pods, computes what one that does neither computes: whatever is
drawn at random is a function of seed and step, drawn for the batch of all pods, of which each takes a slice.
"""
