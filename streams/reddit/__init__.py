"""Requests to Reddit, one at a time, through PRAW, and the pages they return."""
