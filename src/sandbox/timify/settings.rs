//! What the TIMIFY stand-in is built from: its apps and companies, and a switch for each thing that the vendor does not say.

use std::time::Duration;

/// What the TIMIFY stand-in knows before the first request.
#[derive(Clone)]
pub struct TimifySettings {
    /// The apps that may ask for tokens.
    pub apps: Vec<TimifyApp>,
    /// The companies (branches).
    pub companies: Vec<TimifyCompany>,
    /// How long an access token is good for.
    pub token_life: Duration,
    /// The name of the refresh token, in the answer that gives it; a refresh takes `refreshToken` and `refresh_token`.
    pub refresh_key: &'static str,
    /// The status of a refused body.
    pub invalid_status: u16,
    /// Whether a write over the API causes a webhook, too.
    pub echo_webhooks: bool,
    /// How a webhook's body is spelt.
    pub webhook: WebhookForm,
    /// What the companies do.
    pub switches: TimifySwitches,
}

impl TimifySettings {
    /// The switches as they are most likely to stand.
    pub fn new(apps: Vec<TimifyApp>, companies: Vec<TimifyCompany>) -> Self {
        Self {
            apps,
            companies,
            token_life: Duration::from_hours(1),
            refresh_key: "refreshToken",
            invalid_status: 422,
            echo_webhooks: true,
            webhook: WebhookForm::default(),
            switches: TimifySwitches::default(),
        }
    }
}

/// How a webhook's body is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookForm {
    /// How the name is written.
    pub spelling: Spelling,
    /// The key of the name: `event`, `type`, `eventType`.
    pub name_key: &'static str,
    /// The key of the company; none leaves it out.
    pub company_key: Option<&'static str>,
    /// What it tells of the object.
    pub body: WebhookBody,
    /// Whether the object's keys stand under `data`, or beside the name.
    pub nested: bool,
}

impl Default for WebhookForm {
    fn default() -> Self {
        Self {
            spelling: Spelling::Snake,
            name_key: "event",
            company_key: Some("companyId"),
            body: WebhookBody::Full,
            nested: true,
        }
    }
}

/// How a webhook's name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `customer_updated`
    Snake,
    /// `Customer.Updated`
    Dotted,
    /// `customers updated`: the words of the vendor's own table.
    Words,
}

/// What a webhook tells of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookBody {
    /// The whole object.
    Full,
    /// Only `id` and `externalId`.
    Ids,
}

/// What the companies do where the vendor does not say.
#[derive(Debug, Clone, Copy)]
pub struct TimifySwitches {
    /// The longest range of an appointment list, in days (31 in the older documents, 365 in the newer).
    pub range_days: i64,
    /// Whether the vendor writes to customers when a call does not say; its own sample says yes.
    pub notifies_by_default: bool,
    /// Whether the enterprise lets a branch change customers.
    pub shared_customers: Shared,
    /// How the vendor's own key of a field is spelt, in definitions and in customers.
    pub field_key: FieldKey,
    /// Whether a customer also has its first name, e-mail and the like as plain keys.
    pub plain_keys: bool,
    /// Whether a customer shows when it was made and changed.
    pub customer_times: bool,
    /// How customers stand in an appointment.
    pub customers_within: Within,
    /// What `updatedByScope` says after a write over the API.
    pub app_scope: Option<&'static str>,
    /// Whether the ids of a series' later bookings change when one before them is cut out.
    pub renumbers_series: bool,
    /// Whether a deleted appointment stays readable, with `scheduledForDeletionAt`, though no longer listed.
    pub deletes_later: bool,
    /// Whether a new field of customers must name its category.
    pub field_needs_category: bool,
    /// Whether a new field of customers is told by a webhook.
    pub tells_fields: bool,
}

impl Default for TimifySwitches {
    fn default() -> Self {
        Self {
            range_days: 31,
            notifies_by_default: true,
            shared_customers: Shared::Open,
            field_key: FieldKey::DefaultId,
            plain_keys: false,
            customer_times: true,
            customers_within: Within::References,
            app_scope: Some("COMPANY"),
            renumbers_series: false,
            deletes_later: false,
            field_needs_category: false,
            tells_fields: false,
        }
    }
}

/// What becomes of a branch's change of a customer that all branches share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// It is made.
    Open,
    /// 403.
    Refused,
    /// 200, and nothing changes.
    Ignored,
}

/// How the vendor's own key of a field is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKey {
    /// `defaultId: "firstName"`
    DefaultId,
    /// `default_id: "firstName"`
    SnakeDefaultId,
    /// Only `translationKey: "customerFields.basic.firstName"`.
    TranslationKey,
}

/// How customers stand in an appointment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// `customers: [{id, externalId}]`
    References,
    /// `customers: ["..."]`
    Ids,
    /// `customers`: the whole records.
    Records,
    /// `singleCustomers: [{id, externalId}]`
    Single,
}

/// An app of the developer platform.
#[derive(Clone)]
pub struct TimifyApp {
    /// Its id.
    pub appid: String,
    /// Its secret.
    pub appsecret: String,
    /// The companies that installed it.
    pub companies: Vec<String>,
}

/// A company (branch).
#[derive(Debug, Clone)]
pub struct TimifyCompany {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The enterprise that it is a branch of.
    pub enterprise: Option<String>,
    /// The custom fields of its customers, in the order of its form; the ids differ per company.
    pub fields: Vec<FieldDefinition>,
    /// Rooms and people that appointments stand on.
    pub resources: Vec<Bookable>,
    /// What can be booked.
    pub services: Vec<Bookable>,
}

/// One custom field of a company's customers.
#[derive(Debug, Clone)]
pub struct FieldDefinition {
    /// 24 hexadecimal digits.
    pub id: String,
    /// The vendor's key for a field that every company has (`firstName`, `mobilePhone`); own fields have none.
    pub default_id: Option<String>,
    /// What an own field is called.
    pub label: Option<String>,
    /// `TEXT`, `EMAIL`, `PHONE`, `DATE` or `TEXTAREA`.
    pub form: String,
}

/// A resource or a service.
#[derive(Debug, Clone)]
pub struct Bookable {
    /// 24 hexadecimal digits.
    pub id: String,
    /// The operator's own id of it; may be empty.
    pub external_id: String,
    /// Its name.
    pub name: String,
    /// Minutes; a service only.
    pub duration: Option<i64>,
    /// Whether it can be booked online.
    pub bookable: bool,
}
