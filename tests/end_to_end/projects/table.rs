//! The twelve projects: where each comes from, what Rondel is asked for, and the flags of its own build.
//!
//! A hash is that of go.sum: a module that is not what it was fails the test.

use super::{Bare, Module, Project, Said};

/// The flags of the project's own build, where nothing else is said: in the root of the project, without C.
const BARE: Bare = Bare { file: "", directory: ".", flags: &[], ldflags: "", package: ".", environment: &[] };

/// The same for the three programs of etcd.
const ETCD: Bare =
    Bare { flags: &["-installsuffix=cgo"], ldflags: "-X=go.etcd.io/etcd/api/v3/version.GitSHA={commit7}", ..BARE };

pub const PROJECTS: &[Project] = &[
    Project {
        name: "age",
        is_quick: true,
        unkept: &[],
        go: "1.22.12",
        modules: &[Module {
            at: "filippo.io/age@v1.2.1",
            sum: "h1:X0TZjehAZylOIj4DubWYU1vWQxv9bJpo+Uu2/LGhi1o=",
            place: "",
        }],
        tag: "v1.2.1",
        prepared: &[],
        written: &[],
        runs: &[&["age", "archive", "--platform", "linux/amd64"]],
        long_runs: &[&["test"]],
        bare: &[
            Bare { file: "dist/age/linux_amd64/age", ldflags: "-X main.Version={tag}", package: "./cmd/age", ..BARE },
            Bare {
                file: "dist/age/linux_amd64/age-keygen",
                ldflags: "-X main.Version={tag}",
                package: "./cmd/age-keygen",
                ..BARE
            },
        ],
        said: Some(Said {
            program: "dist/age/linux_amd64/age-keygen",
            arguments: &["--version"],
            text: "{tag}\n",
            own: None,
        }),
    },
    Project {
        name: "bbolt",
        is_quick: false,
        unkept: &[],
        go: "1.22.6",
        modules: &[Module {
            at: "go.etcd.io/bbolt@v1.3.11",
            sum: "h1:yGEzV1wPz2yVCLsD8ZAiGHhHVlczyC9d1rP43/VCRJ0=",
            place: "",
        }],
        tag: "v1.3.11",
        prepared: &[],
        written: &[],
        runs: &[&["build"], &["fmt"]],
        long_runs: &[],
        bare: &[Bare { file: "bin/linux_amd64/bbolt", package: "./cmd/bbolt", ..BARE }],
        said: None,
    },
    Project {
        name: "etcd",
        is_quick: false,
        unkept: &[],
        go: "1.22.12",
        modules: &[
            Module {
                at: "go.etcd.io/etcd/server/v3@v3.5.17",
                sum: "h1:xykBwLZk9IdDsB8z8rMdCCPRvhrG+fwvARaGA0TRiyc=",
                place: "server",
            },
            Module {
                at: "go.etcd.io/etcd/api/v3@v3.5.17",
                sum: "h1:cQB8eb8bxwuxOilBpMJAEo8fAONyrdXTHUNcMd8yT1w=",
                place: "api",
            },
            Module {
                at: "go.etcd.io/etcd/client/pkg/v3@v3.5.17",
                sum: "h1:XxnDXAWq2pnxqx76ljWwiQ9jylbpC4rvkAeRVOUKKVw=",
                place: "client/pkg",
            },
            Module {
                at: "go.etcd.io/etcd/client/v2@v2.305.17",
                sum: "h1:ajFukQfI//xY5VuSeuUw4TJ4WnNR2kAFfV/P0pDdPMs=",
                place: "client/v2",
            },
            Module {
                at: "go.etcd.io/etcd/client/v3@v3.5.17",
                sum: "h1:o48sINNeWz5+pjy/Z0+HKpj/xSnBkuVhVvXkjEXbqZY=",
                place: "client/v3",
            },
            Module {
                at: "go.etcd.io/etcd/pkg/v3@v3.5.17",
                sum: "h1:1k2wZ+oDp41jrk3F9o15o8o7K3/qliBo0mXqxo1PKaE=",
                place: "pkg",
            },
            Module {
                at: "go.etcd.io/etcd/raft/v3@v3.5.17",
                sum: "h1:wHPW/b1oFBw/+HjDAQ9vfr17OIInejTIsmwMZpK1dNo=",
                place: "raft",
            },
            Module {
                at: "go.etcd.io/etcd/etcdctl/v3@v3.5.17",
                sum: "h1:7AY/i9YX+VEImkc6XVo0vWvJVvVwHl8LcyMLl5OwHSM=",
                place: "etcdctl",
            },
            Module {
                at: "go.etcd.io/etcd/etcdutl/v3@v3.5.17",
                sum: "h1:0n52V1aN9IsLa+9W3RBoGYbZ+OZeFyFXF5CboO40mt4=",
                place: "etcdutl",
            },
        ],
        tag: "v3.5.17",
        prepared: &[],
        written: &[],
        runs: &[&["etcd", "image"]],
        long_runs: &[],
        bare: &[
            Bare { file: "dist/etcd/linux_amd64/etcd", directory: "server", ..ETCD },
            Bare { file: "dist/etcdctl/linux_amd64/etcdctl", directory: "etcdctl", ..ETCD },
            Bare { file: "dist/etcdutl/linux_amd64/etcdutl", directory: "etcdutl", ..ETCD },
        ],
        said: Some(Said {
            program: "dist/etcd/linux_amd64/etcd",
            arguments: &["--version"],
            text: "etcd Version: {number}\nGit SHA: {commit7}\nGo Version: go1.22.12\nGo OS/Arch: linux/amd64\n",
            own: None,
        }),
    },
    Project {
        name: "fzf",
        is_quick: true,
        unkept: &[],
        go: "1.22.12",
        modules: &[Module {
            at: "github.com/junegunn/fzf@v0.65.2",
            sum: "h1:Uz6Qey1K4JoGNMskYlwRDnGuCEu/sAh+NxQ4YdX3yn0=",
            place: "",
        }],
        tag: "v0.65.2",
        prepared: &[],
        written: &[],
        runs: &[&["fzf"]],
        long_runs: &[&["release", "--platform", "linux/arm/v7"], &["test"], &["fmt"]],
        bare: &[Bare {
            file: "target/linux_amd64/fzf",
            ldflags: "-s -w -X main.version={number} -X main.revision={commit8}",
            ..BARE
        }],
        said: Some(Said {
            program: "target/linux_amd64/fzf",
            arguments: &["--version"],
            text: "{number} ({commit8})\n",
            own: None,
        }),
    },
    Project {
        name: "gojq",
        is_quick: true,
        unkept: &[],
        go: "1.22.12",
        modules: &[Module {
            at: "github.com/itchyny/gojq@v0.12.16",
            sum: "h1:yLfgLxhIr/6sJNVmYfQjTIv0jGctu6/DgDoivmxTr7g=",
            place: "",
        }],
        tag: "v0.12.16",
        prepared: &[],
        written: &[],
        runs: &[&["parser"], &["gojq", "image"]],
        long_runs: &[&["builtin"], &["debug"], &["test"], &["vet"], &["staticcheck"]],
        bare: &[Bare {
            file: "dist/gojq/linux_amd64/gojq",
            ldflags: "-s -w -X github.com/itchyny/gojq/cli.revision={commit7}",
            package: "./cmd/gojq",
            ..BARE
        }],
        said: Some(Said {
            program: "dist/gojq/linux_amd64/gojq",
            arguments: &["--version"],
            text: "gojq {number} (rev: {commit7}/go1.22.12)\n",
            own: Some((&["make", "build"], "gojq")),
        }),
    },
    Project {
        name: "gopls",
        is_quick: false,
        unkept: &[],
        go: "1.22.12",
        modules: &[
            Module {
                at: "golang.org/x/tools/gopls@v0.16.1",
                sum: "h1:1hO/dCeUvjEYx3V0rVvCtOkwnpEpqS29paE+Jw4dcAc=",
                place: "gopls",
            },
            Module {
                at: "golang.org/x/tools@v0.22.1-0.20240628205440-9c895dd76b34",
                sum: "h1:Kd+Z5Pm6uwYx3T2KEkeHMHUMZxDPb/q6b1m+zEcy62c=",
                place: "",
            },
        ],
        tag: "v0.16.1",
        prepared: &[],
        written: &[("go.work", "go 1.22\n\nuse (\n\t.\n\t./gopls\n)\n")],
        runs: &[&["gopls", "tools"]],
        long_runs: &[&["test"]],
        bare: &[
            Bare {
                file: "dist/gopls/linux_amd64/gopls",
                directory: "gopls",
                ldflags: "-X main.version={tag}",
                environment: &[("GOWORK", "")],
                ..BARE
            },
            Bare {
                file: "dist/tools/linux_amd64/stringer",
                package: "./cmd/stringer",
                environment: &[("GOWORK", "")],
                ..BARE
            },
        ],
        said: Some(Said {
            program: "dist/gopls/linux_amd64/gopls",
            arguments: &["version"],
            text: "golang.org/x/tools/gopls {tag}\n",
            own: None,
        }),
    },
    Project {
        name: "hey",
        is_quick: true,
        unkept: &[],
        go: "1.22.12",
        modules: &[Module {
            at: "github.com/rakyll/hey@v0.1.4",
            sum: "h1:hhc8GIqHN4+rPFZvkM9lkCQGi7da0sINM83xxpFkbPA=",
            place: "",
        }],
        tag: "v0.1.4",
        prepared: &["go mod vendor"],
        written: &[],
        runs: &[&["hey", "--platform", "linux/amd64"], &["test"]],
        long_runs: &[&["release", "--all-platforms"]],
        bare: &[Bare { file: "dist/hey/linux_amd64/hey", ..BARE }],
        said: None,
    },
    Project {
        name: "miniflux",
        is_quick: false,
        unkept: &["test"],
        go: "1.22.12",
        modules: &[Module {
            at: "miniflux.app/v2@v2.2.0",
            sum: "h1:eBFbJte5Mmf9Y2+eag1xtTV4bxhnUKs/oYVOgEU+eDk=",
            place: "",
        }],
        tag: "2.2.0",
        prepared: &[],
        written: &[],
        runs: &[&["miniflux"], &["image", "--platform", "linux/amd64"]],
        long_runs: &[&["test"], &["vet"]],
        bare: &[Bare {
            file: "dist/build/linux_amd64/miniflux",
            ldflags: "-s -w -X 'miniflux.app/v2/internal/version.Version={tag}' -X 'miniflux.app/v2/internal/version.Commit={commit7}' -X 'miniflux.app/v2/internal/version.BuildDate={time}'",
            ..BARE
        }],
        said: Some(Said {
            program: "dist/build/linux_amd64/miniflux",
            arguments: &["-version"],
            text: "{tag}\n",
            own: Some((&["make", "linux-amd64"], "miniflux-linux-amd64")),
        }),
    },
    Project {
        name: "mkcert",
        is_quick: true,
        unkept: &[],
        go: "1.22.12",
        modules: &[Module {
            at: "filippo.io/mkcert@v1.4.4",
            sum: "h1:8eVbbwfVlaqUM7OwuftKc2nuYOoTDQWqsoXmzoXZdbc=",
            place: "",
        }],
        tag: "v1.4.4",
        prepared: &[],
        written: &[],
        runs: &[&["mkcert", "--platform", "linux/amd64"]],
        long_runs: &[&["staticcheck"]],
        bare: &[Bare { file: "dist/mkcert/linux_amd64/mkcert", ldflags: "-X main.Version={tag}", ..BARE }],
        said: Some(Said {
            program: "dist/mkcert/linux_amd64/mkcert",
            arguments: &["-version"],
            text: "{tag}\n",
            own: None,
        }),
    },
    Project {
        name: "node_exporter",
        is_quick: false,
        unkept: &[],
        go: "1.22.12",
        modules: &[Module {
            at: "github.com/prometheus/node_exporter@v1.8.2",
            sum: "h1:G8NryhgftPSXTnD+DuaNZTHDqmHF3zLWgPeG5RUtcHg=",
            place: "",
        }],
        tag: "v1.8.2",
        prepared: &[],
        written: &[],
        runs: &[&["docker"]],
        long_runs: &[&["style"], &["vet"]],
        bare: &[Bare {
            file: "dist/build/linux_amd64/node_exporter",
            ldflags: "-X github.com/prometheus/common/version.Version={number} -X github.com/prometheus/common/version.Revision={commit} -X github.com/prometheus/common/version.Branch=main -X github.com/prometheus/common/version.BuildUser=nobody@localhost -X github.com/prometheus/common/version.BuildDate={compact_time} -extldflags '-static'",
            ..BARE
        }],
        said: Some(Said {
            program: "dist/build/linux_amd64/node_exporter",
            arguments: &["--version"],
            text: "node_exporter, version {number} (branch: main, revision: {commit})\n  build user:       nobody@localhost\n  build date:       {compact_time}\n  go version:       go1.22.12\n  platform:         linux/amd64\n  tags:             unknown\n",
            own: None,
        }),
    },
    Project {
        name: "sql-migrate",
        is_quick: false,
        unkept: &[],
        go: "1.22.12",
        modules: &[Module {
            at: "github.com/rubenv/sql-migrate@v1.7.0",
            sum: "h1:HtQq1xyTN2ISmQDggnh0c9U3JlP8apWh8YO2jzlXpTI=",
            place: "",
        }],
        tag: "v1.7.0",
        prepared: &["go mod vendor"],
        written: &[],
        runs: &[&["sql-migrate"], &["image"]],
        long_runs: &[&["test"]],
        bare: &[
            Bare {
                file: "bin/linux_amd64/sql-migrate",
                package: "./sql-migrate",
                environment: &[("CGO_ENABLED", "1")],
                ..BARE
            },
            Bare {
                file: "dist/static/linux_amd64/sql-migrate",
                flags: &["-mod", "vendor"],
                package: "./sql-migrate",
                ..BARE
            },
        ],
        said: None,
    },
    Project {
        name: "yamlfmt",
        is_quick: true,
        unkept: &[],
        go: "1.22.12",
        modules: &[Module {
            at: "github.com/google/yamlfmt@v0.21.0",
            sum: "h1:9FKApQkDpMKgBjwLFytBHUCgqnQgxaQnci0uiESfbzs=",
            place: "",
        }],
        tag: "v0.21.0",
        prepared: &[],
        written: &[],
        runs: &[&["yamlfmt", "image"]],
        long_runs: &[&["test"], &["integrationtest"]],
        bare: &[Bare {
            file: "dist/yamlfmt/linux_amd64/yamlfmt",
            ldflags: "-X 'main.version={number}' -X 'main.commit={commit7}'",
            package: "./cmd/yamlfmt",
            ..BARE
        }],
        said: Some(Said {
            program: "dist/yamlfmt/linux_amd64/yamlfmt",
            arguments: &["-version"],
            text: "yamlfmt {number} ({commit7})\n",
            own: Some((&["make", "build"], "dist/yamlfmt/yamlfmt")),
        }),
    },
];
