"""A chat model behind an OpenAI-compatible server as an annotator.

- Labels: `annotator` asks about texts and reads the answers. `instruction`, `answer_form` and `answer_length` say what
  these look like.
- Clients: `client` for chats, `embeddings`, `dry_client`, and that of `batch`. All go on from `server_client`, which
  tries again as `retries` says.
- Requests: `request` is what is asked, with `extra_body` and `headers`. `parameters` are what the server takes,
  `connection` and `addresses` where it is.
- Responses: `exchange` and `embedding_exchange` send over `keep_alive` connections, and judge what comes. `replies` and
  `embedding_replies` read answers, `refusals` and `length_limit` all else.
- Many texts: `workers` are the threads, and `pace` says when each may send. `pending` answers come later, by `batch`.
- Money: `cache` and `vectors` keep what was paid for, `budget` counts it, `prices` knows the dollars.
  `embedding_bill` reckons embeddings before they are asked for.
"""
