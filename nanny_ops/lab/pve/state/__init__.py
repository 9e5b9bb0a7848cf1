"""The state of one pretended installation: what is there, what may be done to it; nothing about HTTP."""
