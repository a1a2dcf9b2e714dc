"""Tools of parallel execution, which `framework.execution` applies in one order."""
