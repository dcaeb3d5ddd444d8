"""Formats of microscopes and of programs beside them, whose files hold a whole movie."""
