def test_the_model_has_learned(trained):
    """Guessing evenly among 4,096 tokens costs 8.3 nats."""
    own, contexts = trained.readout, trained.held_out.contexts
    log_p = contexts.log_probs(own, contexts.target[:500]).diagonal()
    assert -log_p.mean() < 6
