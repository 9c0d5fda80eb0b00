# Completion of tidegate for fish: tidegate completions fish > ~/.config/fish/completions/tidegate.fish
function __tidegate_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l found ($words[1] __complete -- $words[2..-1] "$last" 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path "$last"
    end
end
complete -c tidegate -f -a '(__tidegate_complete)'
