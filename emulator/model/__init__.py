"""What is emulated: graphs, who can access which server, rates, timing."""
