"""The link between actors and the learner: its messages, the server in the learner, the client in the actor."""
