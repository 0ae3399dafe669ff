# Completion of {this program} for bash. # binary
# Completion of cargo xtask for bash. # xtask

_@FUNCTION@_binary() { # xtask
    local directory="$PWD" # xtask
    if [[ -n "$CARGO_TARGET_DIR" ]]; then # xtask
        if [[ -x "$CARGO_TARGET_DIR/xtask/xtask" ]]; then printf '%s' "$CARGO_TARGET_DIR/xtask/xtask"; fi # xtask
        return # xtask
    fi # xtask
    while [[ -n "$directory" ]]; do # xtask
        if [[ -x "$directory/target/xtask/xtask" ]]; then # xtask
            printf '%s' "$directory/target/xtask/xtask" # xtask
            return # xtask
        fi # xtask
        directory="${directory%/*}" # xtask
    done # xtask
} # xtask
_@FUNCTION@() {
    local first=1 binary="${COMP_WORDS[0]}" line # binary
    local first=2 binary line # xtask
    binary="$(_@FUNCTION@_binary)" # xtask
    [[ -n "$binary" ]] || return 0 # xtask
    # Bash takes words apart at `=`, and wants what comes after it only.
    local current="${COMP_WORDS[COMP_CWORD]}" after=""
    [[ "$current" == "=" || "${COMP_WORDS[COMP_CWORD-1]}" == "=" ]] && after=1
    [[ "$current" == "=" ]] && current=""
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ "$line" == ":files" ]]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current")
        else
            line="${line%%$'\t'*}"
            [[ -n "$after" ]] && line="${line#*=}"
            [[ "$line" == *= ]] && compopt -o nospace 2>/dev/null
            COMPREPLY+=("$line")
        fi
    done < <("$binary" :complete -- "${COMP_WORDS[@]:first:COMP_CWORD-first+1}" 2>/dev/null)
}
complete -F _@FUNCTION@ {this program} # binary
_@FUNCTION@_before="$(complete -p cargo 2>/dev/null | sed -n 's/.*-F \([^ ]*\).*/\1/p')" # xtask
[[ "$_@FUNCTION@_before" == _@FUNCTION@_cargo ]] && _@FUNCTION@_before="" # xtask
_@FUNCTION@_cargo() { # xtask
    if [[ "${COMP_WORDS[1]}" == xtask && "$COMP_CWORD" -gt 1 ]]; then # xtask
        _@FUNCTION@ # xtask
    elif [[ -n "$_@FUNCTION@_before" ]]; then # xtask
        "$_@FUNCTION@_before" "$@" # xtask
    fi # xtask
} # xtask
complete -o default -F _@FUNCTION@_cargo cargo # xtask
