"""Time and memory of a prediction, for configurations that no machine here could hold: one process each.

python benchmarks/predicting.py            all of them
python benchmarks/predicting.py NAME       one, in this process
"""

import resource
import subprocess
import sys
import time

LLAMA = {"vocab_size": 128256, "num_key_value_heads": 8, "max_position_embeddings": 131072, "use_cache": False}
SHAPES = {
    "Llama-3.1-405B": ("Llama", {**LLAMA, "hidden_size": 16384, "intermediate_size": 53248, "num_hidden_layers": 126,
                                 "num_attention_heads": 128}, 2048),
    "Llama-3-70B": ("Llama", {**LLAMA, "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
                              "num_attention_heads": 64}, 2048),
    "GPT-2": ("GPT2", {"use_cache": False}, 1024),
}  # fmt: skip


def run(name):
    """Predict one configuration; print a row."""
    began = time.perf_counter()
    import torch
    import transformers

    import justright as jr

    kind, options, tokens = SHAPES[name]
    config = getattr(transformers, f"{kind}Config")(**options)
    model = getattr(transformers, "GPT2LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM")
    x = torch.randint(0, config.vocab_size, (1, tokens))
    imported = time.perf_counter()
    report = jr.predict(lambda: model(config), {"input_ids": x, "labels": x})
    taken = time.perf_counter() - imported
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sites = len(report.profile.sites)
    print(f"| {name} | {sites:,} | {imported - began:.1f} | {taken:.1f} | {memory:.2f} |")


def main():
    """Run every configuration in a process of its own."""
    if len(sys.argv) > 1:
        run(sys.argv[1])
        return
    print("| configuration | sites | import, s | prediction, s | memory, GiB |\n|---|---|---|---|---|", flush=True)
    for name in SHAPES:
        subprocess.run([sys.executable, __file__, name], check=True)


if __name__ == "__main__":
    main()
