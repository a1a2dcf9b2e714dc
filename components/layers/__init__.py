"""Parts of which backbones, stems and heads are made: tensors in, tensors out."""
