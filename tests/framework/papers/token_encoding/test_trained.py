import torch


def test_the_model_has_learned(trained):
    """More than how often each token occurs: one after the other is easier to guess."""
    own, contexts = trained.readout, trained.held_out.contexts
    log_p = contexts.log_probs(own, contexts.target[:500]).diagonal()
    frequency = trained.data.counts() / trained.data.counts().sum()
    assert -log_p.mean() < torch.special.entr(frequency).sum() - 0.5
