# Completion of {this program} for fish. # binary
# Completion of cargo xtask for fish. # xtask

function __@FUNCTION@_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l binary $words[1] # binary
    set -e words[1]
    set -l binary # xtask
    test "$words[1]" = xtask; or return # xtask
    set -e words[1] # xtask
    set -l directory $PWD # xtask
    if set -q CARGO_TARGET_DIR # xtask
        test -x $CARGO_TARGET_DIR/xtask/xtask; and set binary $CARGO_TARGET_DIR/xtask/xtask # xtask
    else # xtask
        while test -n "$directory" # xtask
            if test -x $directory/target/xtask/xtask # xtask
                set binary $directory/target/xtask/xtask # xtask
                break # xtask
            end # xtask
            set directory (string replace -r '/[^/]*$' '' $directory) # xtask
        end # xtask
    end # xtask
    test -n "$binary"; or return # xtask
    for line in ($binary :complete -- $words "$current" 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path "$current"
        else
            printf '%s\n' $line
        end
    end
end
complete -c {this program} -f -a '(__@FUNCTION@_complete)' # binary
complete -c cargo -n '__fish_seen_subcommand_from xtask' -f -a '(__@FUNCTION@_complete)' # xtask
