//! Lines on the way to the screen, in groups where the log of a service has them.

use std::sync::Mutex;

use rondel_engine::NodeId;

use crate::ui::Printer;
use crate::ui::groups::Service;

/// Prints lines, whole and one after the other.
pub(crate) struct Lines {
    print: Printer,
    service: Option<Service>,
    group: Mutex<Group>,
}

/// The group that the next line would stand in.
#[derive(Default)]
struct Group {
    number: usize,
    open: Option<NodeId>,
}

impl Lines {
    /// Prints with `print`, for the log of `service` if there is one.
    pub fn new(print: Printer, service: Option<Service>) -> Lines {
        Lines { print, service, group: Mutex::default() }
    }

    /// Prints a line outside of groups.
    pub fn print(&self, line: &str) {
        let mut group = self.group.lock().expect("no panic while locked");
        self.close(&mut group);
        self.print_inert(line);
    }

    /// Prints a line of a step's output.
    pub fn print_in_group(&self, node: NodeId, title: &str, line: &str) {
        let mut group = self.group.lock().expect("no panic while locked");
        if group.open != Some(node) {
            self.close(&mut group);
            if let Some(service) = self.service {
                group.number += 1;
                group.open = Some(node);
                (self.print)(&service.begin(group.number, &format!("{title}: output")));
            }
        }
        self.print_inert(line);
    }

    /// Prints text of whomever, which the service must not obey.
    fn print_inert(&self, text: &str) {
        (self.print)(&self.service.map_or(text.into(), |service| service.inert(text)));
    }

    fn close(&self, group: &mut Group) {
        if let (Some(service), Some(_)) = (self.service, group.open.take()) {
            (self.print)(&service.end(group.number));
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let mut group = std::mem::take(&mut *self.group.lock().expect("no panic while locked"));
        self.close(&mut group);
    }
}
