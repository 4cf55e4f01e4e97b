"""The strategies of the package under a short name in its checkout: ``strategies.rag_momentum:LongFlat``."""
