"""``s2ct completion``: the script that lets a shell complete commands, options and values."""

from __future__ import annotations

import sys

import click

VARIABLE = "_S2CT_COMPLETE"  # the shell's script sets it to ask s2ct for completions

# Unlike the script of click, this one keeps values beside folders, and shows what each value means.
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' response line type value help width=0 i
    local -a values=() helps=()
    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    for line in $response; do
        IFS=$'\\t' read -r type value help <<< "$line"
        case $type in
            dir) compopt -o plusdirs -o filenames ;;
            file) compopt -o default ;;
            plain)
                values+=("$value")
                helps+=("$help")
                ((${#value} > width)) && width=${#value}
                ;;
        esac
    done
    # Descriptions are only listed: on the first Tab bash would insert them.
    if ((${#values[@]} > 1)) && [[ $COMP_TYPE == 63 && -n ${helps[*]//$'\\n'/} ]]; then
        for i in "${!values[@]}"; do
            COMPREPLY+=("$(printf "%%-${width}s  (%%s)" "${values[i]}" "${helps[i]}")")
        done
    else
        COMPREPLY=("${values[@]}")
    fi
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_INSTALL = {
    "bash": """\
To complete s2ct in every new bash, run once:
  mkdir -p ~/.local/share/bash-completion/completions
  s2ct completion bash > ~/.local/share/bash-completion/completions/s2ct
Without the package bash-completion, add this line to ~/.bashrc instead:
  source <(s2ct completion bash)
""",
    "zsh": """\
To complete s2ct in every new zsh, add this line to ~/.zshrc, after compinit:
  source <(s2ct completion zsh)
""",
    "fish": """\
To complete s2ct in every new fish, run once:
  mkdir -p ~/.config/fish/completions
  s2ct completion fish > ~/.config/fish/completions/s2ct.fish
""",
}


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(list(_INSTALL)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and values of s2ct in bash (4.4 or later), zsh or fish.

    Completed values: codecs with their figures, stores, and the tiles and splits of the store or folder on the line.

    \b
    bash: add this line to ~/.bashrc
      source <(s2ct completion bash)
    zsh: add this line to ~/.zshrc, after compinit
      source <(s2ct completion zsh)
    fish: run this once
      s2ct completion fish > ~/.config/fish/completions/s2ct.fish
    """
    from click.shell_completion import get_completion_class

    _register()
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(ctx.find_root().command, {}, "s2ct", VARIABLE).source()
    first, _, rest = script.partition("\n")
    comment = "".join(f"# {line}\n" for line in _INSTALL[shell].splitlines())
    # The first line of a zsh script has to stay first.
    click.echo(f"{first}\n{comment}{rest}" if first.startswith("#") else f"{comment}{script}", nl=False)
    if sys.stdout.isatty():
        click.echo(_INSTALL[shell], err=True, nl=False)


def answer(program: click.Command, instruction: str) -> int:
    """Answer the script of a shell. Returns the exit code."""
    from click.shell_completion import shell_complete

    _register()
    return shell_complete(program, {}, "s2ct", VARIABLE, instruction)


def _register() -> None:
    """Use our script for bash."""
    from click.shell_completion import BashComplete, CompletionItem, add_completion_class

    class Bash(BashComplete):
        source_template = _BASH

        def format_completion(self, item: CompletionItem) -> str:
            return f"{item.type}\t{item.value}\t{item.help or ''}"

    add_completion_class(Bash)
