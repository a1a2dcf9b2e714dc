"""Keys of published configurations that change nothing that a model computes."""

from __future__ import annotations

HARMLESS = frozenset(
    {
        # what the files are and who wrote them
        *("architectures", "model_type", "transformers_version", "_name_or_path", "dtype"),
        *("torch_dtype", "tokenizer_class", "use_bfloat16", "torchscript", "finetuning_task"),
        # training and its start
        *("initializer_range", "attention_dropout", "gradient_checkpointing"),
        # what is returned and kept
        *(
            "cache_implementation",
            "use_cache",
            "output_attentions",
            "output_hidden_states",
            "return_dict",
        ),
        *("return_dict_in_generate", "output_scores", "chunk_size_feed_forward"),
        # tokens with a meaning
        *("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id"),
        *("decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "prefix"),
        # other tasks
        *("id2label", "label2id", "problem_type", "task_specific_params", "classifier_dropout"),
        # how texts are continued
        *("do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty"),
        *("temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty"),
        *("no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids"),
        *("num_return_sequences", "max_length", "min_length", "remove_invalid_values"),
        *("exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens"),
        # the same numbers in another order of computation
        "pretraining_tp",
    }
)
