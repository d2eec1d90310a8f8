"""The Graph IR: tensor expressions, how they are traced and printed."""
