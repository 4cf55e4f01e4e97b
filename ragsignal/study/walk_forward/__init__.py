"""Walk-forward: the traded window in steps, each scored by models that were trained on what lies before it.

``steps``      the calendar in steps, and the training window of each: arithmetic on days
``address``    the address of what one training run leaves behind: a digest of all that it learns from
``plan``       a spec's steps, what each is trained on, and where its artifacts lie
``source``     one line of signals through time, made of one pipeline a step

Training them is :mod:`ragsignal.training.walk_forward`; nothing here trains, and nothing here reads a model.
"""
