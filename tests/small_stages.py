"""Finished runs of the three stages, made in seconds: encoders that are bags of tokens, and know no more."""

import numpy as np
from safetensors.torch import save_file

from cpack_lib.corpus.labelled.instructions import INSTRUCTION
from cpack_lib.corpus.world.articles import all_articles
from cpack_lib.model.bag import Bag, give_to_bert
from cpack_lib.model.encoder import Encoder, new_language_model, save_encoder
from cpack_lib.model.retromae import RetroMAE
from cpack_lib.model.tokens import train_pieces
from cpack_lib.work.runs import open_run

STAGES = ("02_pretrain_retromae", "03_contrast_pairs", "04_instruct_finetune")


def finish_stages(run_name: str) -> None:
    """RUN/02 to RUN/04 with an encoder each, 02 with its language model and decoder as well."""
    tokens = train_pieces([article.text for article in all_articles()], 2_000)
    for seed, notebook in enumerate(STAGES):
        run = open_run(notebook, run_name, {"run_name": run_name})
        model = new_language_model("nano", len(tokens), seed)
        width = model.config.hidden_size
        bag = Bag(len(tokens), width, np.full(len(tokens), 0.01), seed)
        give_to_bert(bag.table.detach(), model, tokens.cls_token_id)
        instruction = INSTRUCTION["zh"] if notebook == STAGES[-1] else ""
        save_encoder(Encoder(model.bert, tokens), run.folder / "encoder", instruction)
        if notebook == STAGES[0]:
            model.save_pretrained(run.folder / "language_model")
            tokens.save_pretrained(run.folder / "language_model")
            decoder = RetroMAE(model, tokens.mask_token_id).decoder
            save_file(decoder.state_dict(), run.folder / "language_model" / "decoder.safetensors")
        run.finish(stage=seed)
