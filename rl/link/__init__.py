"""What travels between actors and the learner: messages, the server in the learner, the client in the actor."""
