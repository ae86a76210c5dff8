"""One request for embeddings: their numbers, a refusal, or a failure that may pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.annotators.api.embedding_replies import read_vectors, tokens_of
from silr.annotators.api.exchange import Exchange
from silr.annotators.api.parameters import Parameters


class EmbeddingsExchange(Exchange):
    """Sends texts to ``/embeddings``. Threads may share it."""

    def embed(
        self, texts: Sequence[str], options: Mapping[str, object], paid: Callable[[int, int], None], patient: bool
    ) -> NDArray[np.float16]:
        """Send texts, call `paid` with the tokens that they have, and return their embeddings, shape (n, d).

        The failures are those of `send`.
        """
        import openai

        sent = [text.encode("utf-8", "replace").decode() for text in texts]  # half a character is none in JSON
        try:
            create: Any = self._client.embeddings.with_raw_response.create
            response = create(model=self.model, input=sent, **options).http_response
        except openai.APIStatusError as error:
            response = error.response
        except openai.APIConnectionError as error:  # time-outs included
            self._no_connection(error)

        def count(value: object) -> None:
            if tokens := tokens_of(value):
                paid(tokens, 0)

        text = response.text if response.is_success else self.secrets.hidden(response.text)
        concerns = partial(Parameters().concerned, options=options)
        return self._read(response, text, count, partial(read_vectors, n=len(texts)), concerns, patient)
