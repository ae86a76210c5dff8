"""One request for embeddings: their numbers, a refusal, or a failure that may pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.annotators.api.embedding_replies import read_vectors, tokens_of
from silr.annotators.api.exchange import Exchange, PassingError
from silr.annotators.api.parameters import Parameters
from silr.annotators.api.refusals import is_error, read_refusal
from silr.annotators.api.replies import NoReplyError, parse_body


class EmbeddingsExchange(Exchange):
    """Sends texts to ``/embeddings``. Threads may share it."""

    def embed(
        self, texts: Sequence[str], options: Mapping[str, object], paid: Callable[[int, int], None], patient: bool
    ) -> NDArray[np.float16]:
        """Send texts, call `paid` with the tokens that they have, and return their embeddings, shape (n, d).

        The failures are those of `send`.
        """
        import openai

        parameters = Parameters()
        sent = [text.encode("utf-8", "replace").decode() for text in texts]  # half a character is none in JSON
        try:
            create: Any = self._client.embeddings.with_raw_response.create
            response = create(model=self.model, input=sent, **options).http_response
        except openai.APIStatusError as error:
            self.heard = True
            text = self._secrets.hidden(error.response.text)
            problem = read_refusal(error.status_code, error.response.headers, text, self.proxy)
            raise self._problem(problem, False, options, parameters, patient) from error
        except openai.APIConnectionError as error:  # time-outs included
            self._no_connection(error)
        self.heard = True
        refusal = partial(read_refusal, response.status_code, response.headers, response.text, self.proxy)
        try:
            value = parse_body(response.text)
            if tokens := tokens_of(value):
                paid(tokens, 0)
            if is_error(value):
                raise self._problem(refusal(), True, options, parameters, patient)
            return read_vectors(value, len(texts))
        except NoReplyError as error:
            if refusal().page:
                raise self._problem(refusal(), True, options, parameters, patient) from error
            raise PassingError(str(error), unusable=True) from error
