# Completion of tidegate for fish: tidegate completions fish > ~/.config/fish/completions/tidegate.fish
function __tidegate_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    $words[1] __complete -- $words[2..-1] "$last" 2>/dev/null
end
complete -c tidegate -a '(__tidegate_complete)'
