# For the scripts of tests: an environment of Python in the build folder, with the packages of a list, made once.

# usage: environment NAME LIST, which says where it is in $python
environment() {
    local folder="${CARGO_TARGET_DIR:-target}/$1"
    if ! command -v python3 > /dev/null; then
        echo 'error: this test needs python3' >&2
        exit 2
    fi
    if [ ! -x "$folder/bin/python" ] || ! cmp -s "$2" "$folder/requirements.txt"; then
        rm -rf "$folder"
        python3 -m venv "$folder"
        "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$2"
        cp "$2" "$folder/requirements.txt"
    fi
    python="$folder/bin/python"
}
