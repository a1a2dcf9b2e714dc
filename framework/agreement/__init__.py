"""How the processes of a run find each other, and agree on what they run before it starts."""

from framework.agreement.run import require_agreement

__all__ = ["require_agreement"]
