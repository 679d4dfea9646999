"""What a person asks for: what is wrong here, and what was left behind before anybody watched."""
