"""measure.py: figures about the product's code, for information."""
import statistics


def medians(tree):
    functions = [f.lines for s in tree.product for f in s.functions()]
    files = [len(s.lines) for s in tree.product if not s.is_header]
    if files and functions:
        print(f"{len(files)} product .c files, median {statistics.median(files):g} lines, longest "
              f"{max(files)}; {len(functions)} functions, median {statistics.median(functions):g} "
              f"lines, longest {max(functions)}")
