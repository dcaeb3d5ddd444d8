"""Widgets that every tab is made of; each step's tab lies in a folder of its own."""
