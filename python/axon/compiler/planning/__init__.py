"""Planning: the steps of a program in order, where they keep their values, and what they cost."""
