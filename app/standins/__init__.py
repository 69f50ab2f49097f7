"""Servers that stand in for what a team has outside of this repository: a mail server and an AI service.

They speak the real protocols, so that the app needs no test mode; production points SMTP_HOST and AI_BASE_URL
elsewhere and starts neither.
"""
