"""What a step minimises: three objectives with one shape, so that one loop runs them all.

Each has a `model`, a number of `rows` with their `sources`, `tasks` and `keys`, as the plan wants them, and
an `encoder` that can be probed. `prepare(rows)` reads what a step needs, without chance, in a thread of its
own; `backward(prepared)` leaves this process's part of the gradients on the model and returns its part of
each number for the log: parts add up. `save(folder)` writes what the next stage reads. `longest`, `sample`,
`places` and `besides` tell its memory (`memory.Weighed`).
"""

from cpack_lib.training.objectives.bags import BagContrast
from cpack_lib.training.objectives.contrastive import EncoderContrast
from cpack_lib.training.objectives.reconstruction import Reconstruction

OBJECTIVES = {"bag": BagContrast, "retromae": Reconstruction, "contrast": EncoderContrast}
