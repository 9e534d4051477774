"""The result of an optimization: typed, frozen, versioned; its verdict, its wording and its charts."""
