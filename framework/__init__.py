"""The Lightning side: modules, data, evaluation, callbacks and schedules around the components."""
