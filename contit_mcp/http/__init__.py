"""What only a server over HTTP needs: who may call, how much, and how an operator looks after it."""
