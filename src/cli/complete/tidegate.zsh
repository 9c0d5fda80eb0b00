#compdef tidegate
# Completion of tidegate for zsh: tidegate completions zsh > a file `_tidegate` in a folder of $fpath
_tidegate() {
    local -a found
    found=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then
        compadd -- "${found[@]}"
    else
        _files
    fi
}
if [[ "${funcstack[1]}" == _tidegate ]]; then
    _tidegate "$@"
else
    compdef _tidegate tidegate
fi
