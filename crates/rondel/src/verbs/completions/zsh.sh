#compdef {this program} # binary
# Completion of {this program} for zsh. # binary
# Completion of cargo xtask for zsh. # xtask

_@FUNCTION@_binary() { # xtask
    local directory="$PWD" # xtask
    if [[ -n "$CARGO_TARGET_DIR" ]]; then # xtask
        [[ -x "$CARGO_TARGET_DIR/xtask/xtask" ]] && print -r -- "$CARGO_TARGET_DIR/xtask/xtask" # xtask
        return # xtask
    fi # xtask
    while [[ -n "$directory" ]]; do # xtask
        if [[ -x "$directory/target/xtask/xtask" ]]; then # xtask
            print -r -- "$directory/target/xtask/xtask" # xtask
            return # xtask
        fi # xtask
        directory="${directory%/*}" # xtask
    done # xtask
} # xtask
_@FUNCTION@() {
    local first=2 binary="$words[1]" line # binary
    local first=3 binary line # xtask
    binary="$(_@FUNCTION@_binary)" # xtask
    [[ -n "$binary" ]] || return 1 # xtask
    local -a candidates open
    local files=""
    while IFS= read -r line; do
        if [[ "$line" == ":files" ]]; then
            files=1
        elif [[ "${line%%$'\t'*}" == *= ]]; then
            open+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        else
            candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        fi
    done < <("$binary" :complete -- "${(@)words[first,CURRENT]}" 2>/dev/null)
    (( ${#open} )) && _describe '{this program}' open -S ''
    _describe '{this program}' candidates
    [[ -n "$files" ]] && _files
}
compdef _@FUNCTION@ {this program} # binary
if [[ "${_comps[cargo]}" != _@FUNCTION@_cargo ]]; then # xtask
    _@FUNCTION@_before="${_comps[cargo]}" # xtask
fi # xtask
_@FUNCTION@_cargo() { # xtask
    if [[ "$words[2]" == xtask && "$CURRENT" -gt 2 ]]; then # xtask
        _@FUNCTION@ # xtask
    elif [[ -n "$_@FUNCTION@_before" ]]; then # xtask
        "$_@FUNCTION@_before" "$@" # xtask
    fi # xtask
} # xtask
compdef _@FUNCTION@_cargo cargo # xtask
