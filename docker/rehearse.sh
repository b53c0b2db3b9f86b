#!/usr/bin/env bash
# Runs what the build stages of a Dockerfile say, in a clean folder of this machine instead of a container:
#   docker/rehearse.sh docker/server.Dockerfile
# WORKDIR, COPY from the context, RUN, ARG and ENV are done; apk lines and base images are not. Ends with 1 where a later stage copies a file
# that no stage made.
set -euo pipefail
dockerfile=$(realpath "$1")
context=$(git -C "$(dirname "$dockerfile")" rev-parse --show-toplevel)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cd "$root"
wanted=()
# Comments out, continued lines joined.
sed -e '/^[[:space:]]*#/d' "$dockerfile" | sed -e ':more' -e '/\\$/{N;s/\\\n[[:space:]]*/ /;b more' -e '}' > "$root/.instructions"
while read -r word rest; do
  case "$word" in
    FROM) directory="$root/stage/${rest##* }"; mkdir -p "$directory"; here=$directory ;;
    WORKDIR) here="$directory$rest"; mkdir -p "$here" ;;
    ARG | ENV) case "$rest" in *=*) export "${rest?}" ;; esac ;;
    COPY)
      case "$rest" in
        --from=*)
          stage=${rest#--from=}; stage=${stage%% *}
          [ "$stage" = runtime ] && stage="runtime-${DEVICE:-cpu}"
          paths=${rest#* }
          wanted+=("$root/stage/$stage${paths%% *}") ;;
        ". .") git -C "$context" archive HEAD | tar -x -C "$here" ;;
        *)
          target="$here/${rest##* }"
          for source in ${rest% *}; do
            mkdir -p "$(dirname "$target")"
            cp -r "$context/$source" "$target"
          done ;;
      esac ;;
    RUN)
      case "$rest" in
        apk*) echo "not run here: $rest" ;;
        *)
          # Cache mounts only save time; files at the root of the file system are the stage's.
          command=$(sed -e 's/--mount=[^ ]* *//g' -e "s| /\([a-z]*\)\$| $directory/\1|" <<< "$rest")
          echo "+ $command"; (cd "$here" && sh -ec "$command") ;;
      esac ;;
  esac
done < "$root/.instructions"
for path in "${wanted[@]}"; do
  [ -e "$path" ] || { echo "no stage made ${path#"$root"}"; exit 1; }
  echo "made: ${path#"$root/stage/"} ($(du -sh "$path" | cut -f1))"
done
